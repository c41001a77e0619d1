"""systems/hospital/policy"""
