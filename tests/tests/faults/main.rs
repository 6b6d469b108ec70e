//! Faults beneath and between the programs: every diagnosis still arrives at a subscriber, once or as the same uid and revision
//! again, in the order of its node, and none that nobody told; what had to be dropped is told in a gap.

mod aggregator_away;
mod clock;
mod disk_full;
mod disk_read_only;
mod feeder;
mod network;
mod pushes;
mod reader_asleep;
mod small_disk;
mod stage;
mod state_directory;
mod subscriber;
