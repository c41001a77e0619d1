"""systems/hospital/transport"""
