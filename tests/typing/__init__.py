"""
What users see of the types. Nothing in here is run, it is only type-checked.
"""
