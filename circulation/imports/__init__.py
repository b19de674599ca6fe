"""What an import of readers, loans and charges reads, checks and writes."""
