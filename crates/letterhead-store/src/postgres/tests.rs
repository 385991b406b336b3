//! Of what is not seen from outside.
