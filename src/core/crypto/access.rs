//! Owns: what the permission bits of a file with a secret, a key or a config in it allow to others than its owner.
//! Does not: read them, or say what follows.

/// What a file's mode allows that it should not (chmod(1) takes it back).
#[derive(Clone, Copy)]
pub(crate) enum Exposure {
    /// Whoever likes may put another secret there: such a file is not used.
    AnybodyWrites,
    GroupWrites,
    AnybodyReads,
}

impl Exposure {
    /// All that there is to say of a file with this mode; of one that anybody may write, nothing else. Who may read it counts
    /// where it is `secret`.
    pub(crate) fn of(mode: u32, secret: bool) -> Vec<Self> {
        if Self::anybody_writes(mode) {
            return vec![Self::AnybodyWrites];
        }
        let group = (mode & 0o020 != 0).then_some(Self::GroupWrites);
        group.into_iter().chain((secret && mode & 0o004 != 0).then_some(Self::AnybodyReads)).collect()
    }

    pub(crate) const fn anybody_writes(mode: u32) -> bool {
        mode & 0o002 != 0
    }

    /// In words that the file's name follows: "anybody may write".
    pub(crate) const fn who(self) -> &'static str {
        match self {
            Self::AnybodyWrites => "anybody may write",
            Self::GroupWrites => "its group may write",
            Self::AnybodyReads => "anybody may read",
        }
    }

    /// What chmod(1) is given against it.
    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::AnybodyWrites => "o-w",
            Self::GroupWrites => "g-w",
            Self::AnybodyReads => "o-r",
        }
    }
}
