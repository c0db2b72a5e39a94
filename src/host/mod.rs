//! The machine: one file each. It carries out what core decided and reports what it saw.

pub mod facts;
pub mod load;
