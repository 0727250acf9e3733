"""Looking through texts in a supervised child process; what is looked for is not decided here."""
