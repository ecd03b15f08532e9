//! Azure Media Services v2 (REST).
