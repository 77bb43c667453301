"""The Ear: from a song to its timing, spectrum and onsets. Audio only; nothing here plays or writes charts."""
