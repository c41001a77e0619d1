"""systems/hospital/train"""
