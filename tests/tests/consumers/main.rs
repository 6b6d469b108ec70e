//! What others wrote, with the real aggregator: clients generated from the protocol, collectors and validators. Python
//! and what `tests/requirements.txt` names stand in `target/tools`, where `scripts/tools` puts them.

mod aggregator;
mod alertmanager;
mod events;
mod faults;
mod nginx;
mod ocsf;
mod page;
mod prometheus;
mod python;
mod reader;
mod receiver;
mod reflection;
mod rotel;
mod splunk;
