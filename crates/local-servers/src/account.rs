//! Whom PostgreSQL runs as. It refuses root, so as root it gets the account `nobody`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Uid, User};

use crate::Error;

/// An account without privileges.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Whom to run PostgreSQL as: nobody else (`None`) for an ordinary user, an unprivileged account for root.
pub(crate) fn for_postgres() -> Result<Option<Account>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let missing = Error::Missing { program: "the account `nobody`", cure: "create it, or run as an ordinary user" };
    let nobody = User::from_name("nobody").ok().flatten().ok_or(missing)?;
    Ok(Some(Account { name: nobody.name, uid: nobody.uid.as_raw(), gid: nobody.gid.as_raw() }))
}

impl Account {
    /// Makes `path` this account's own.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io("hand over", path))
    }

    /// Fails when a folder on the way to `path` (absolute) is closed to this account. Folders that do not exist yet are
    /// made open.
    pub(crate) fn check_can_reach(&self, path: &Path) -> Result<(), Error> {
        let mut ways: Vec<&Path> = path.ancestors().collect();
        ways.reverse();
        for dir in ways {
            let Ok(found) = dir.metadata() else { break };
            let execute = if found.uid() == self.uid { 0o100 } else { 0o001 };
            if found.permissions().mode() & execute == 0 {
                return Err(Error::Unreachable { user: self.name.clone(), dir: dir.to_owned() });
            }
        }
        Ok(())
    }
}
