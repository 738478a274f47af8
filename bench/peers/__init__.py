"""The systems that adtally is compared with."""
