//! Faults beneath and between the programs: every diagnosis still arrives at a subscriber, once or as the same uid and
//! revision again, in the order of its node, and none that was never reported; what had to be discarded is reported in
//! a gap.

mod aggregator_away;
mod clock;
mod disk_full;
mod disk_read_only;
mod feeder;
mod hosts;
mod machine;
mod network;
mod nfs_server;
mod pushes;
mod reader_asleep;
mod small_disk;
mod stage;
mod state_directory;
mod subscriber;
