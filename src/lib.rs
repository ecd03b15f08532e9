//! Copies every finished streaming asset to the other data centre, proves that it plays there, and announces it.
