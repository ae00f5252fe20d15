//! The bodies on the embedded engine, and what only it can show.

use crate::bench::Engine;

crate::every_body!(Engine::Embedded);
