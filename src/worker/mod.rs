//! Accepting connections and driving HTTP over exchanges.
