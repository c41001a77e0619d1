"""systems/hospital/operation"""
