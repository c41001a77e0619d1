"""systems/hospital/federation"""
