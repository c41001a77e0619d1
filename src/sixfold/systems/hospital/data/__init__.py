"""systems/hospital/data"""
