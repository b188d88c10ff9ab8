//! The configuration language: grammar, tree, directive tables, loader, diagnostics.
