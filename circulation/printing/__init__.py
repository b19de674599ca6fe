"""What is printed: slips for holds, overdue letters, barcode labels and readers' cards."""
