//! What happened: events, the state as their fold, reconciliation. Pure but for `store`.
