"""Reports: overdue readers, circulation, what is most wanted and what nobody borrows."""
