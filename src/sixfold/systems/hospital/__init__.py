"""systems/hospital"""
