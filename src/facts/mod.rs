//! Types for what was found on this machine and on the nodes. Pure.
