//! Charts of a whole run, from its journal and its samples.
