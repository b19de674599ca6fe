"""The desk's pages of money: a reader's account, the receipt, the day's takings."""
