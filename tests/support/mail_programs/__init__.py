"""Real mail programs, each behind the same few verbs (`program.Program`)."""
