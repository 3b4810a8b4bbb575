"""Everything that reads or writes files people see."""
