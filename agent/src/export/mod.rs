//! One format a file. Exporters never read process memory, and every string from a target is
//! hostile to them.
