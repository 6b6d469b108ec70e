//! Long lives: recorded cases drawn out over days, and nodes on which others live and die.

mod node;
mod playback;
mod pod;
mod random;
mod shift;
mod sources;

pub use node::{BusyNode, Death, Victim};
pub use playback::Playback;
pub use pod::{End, Pod};
pub use shift::Shift;
