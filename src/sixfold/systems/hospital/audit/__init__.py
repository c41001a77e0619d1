"""systems/hospital/audit"""
