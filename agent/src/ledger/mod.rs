//! What is known: sites, open descriptors, their windows. No I/O; time is an argument; bounded.
