//! Vocabulary: newtypes for every name, field paths, spans, durations, the clock trait. Pure.
