"""What components do with data, without components: escapes, sequences, lines, a catalogue."""
