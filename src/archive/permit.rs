//! Who may do what: every use case of the façade takes a permit.

use super::{Archive, Error, Kind};
use crate::domain::codes::Role;
use crate::domain::event::{Actor, Context};
use crate::domain::{AccountId, Digest, TenantSlug};

/// Something that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Take documents in.
    Ingest,
    /// Read records and search them.
    Read,
    /// File documents: out of the inbox, and out of one case file into another.
    File,
    /// Change the frame: units, file plan, case files.
    Manage,
    /// Check integrity.
    Verify,
}

/// Berechtigung: someone known, with roles, in one tenant.
#[derive(Clone, Debug)]
pub struct Permit {
    tenant: TenantSlug,
    account: AccountId,
    roles: Vec<Role>,
}

impl Permit {
    /// The tenant it is good for.
    pub fn tenant(&self) -> &TenantSlug {
        &self.tenant
    }

    /// Who acts, for events.
    pub fn context(&self) -> Context {
        Context::by(Actor::Service(self.account))
    }

    /// Insists on a permission.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] when no role gives it.
    pub fn require(&self, permission: Permission) -> Result<(), Error> {
        let gives = |role: &Role| match permission {
            Permission::Ingest => matches!(role, Role::Scanner | Role::Clerk),
            Permission::Read => matches!(role, Role::Clerk | Role::Records | Role::Auditor),
            Permission::File => matches!(role, Role::Clerk | Role::Records),
            Permission::Manage => *role == Role::Records,
            Permission::Verify => *role == Role::Auditor,
        };
        if self.roles.iter().any(gives) {
            Ok(())
        } else {
            Err(Error::new(Kind::Forbidden, "Dazu fehlt diesem Dienstkonto die Berechtigung."))
        }
    }
}

/// The tenant that a token says it is for. The token itself is checked by [`Archive::permit`].
pub fn token_tenant(token: &str) -> Option<TenantSlug> {
    token.strip_prefix("eakte_")?.rsplit_once('_')?.0.parse().ok()
}

/// A new token: its text goes to the caller, its digest into the journal.
pub(super) fn new_token(tenant: &TenantSlug, entropy: &dyn crate::clock::Entropy) -> (String, Digest) {
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    let text = format!("eakte_{tenant}_{}", crate::domain::digest::hex(&secret));
    let digest = Digest::of(text.as_bytes());
    (text, digest)
}

impl Archive {
    /// The permit of whoever has this token.
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] when nobody has.
    pub fn permit(&self, token: &str) -> Result<Permit, Error> {
        // Looked up by digest: the time this takes says nothing about how much of a guess was right.
        let found = self.catalogue.account_by_token(&Digest::of(token.as_bytes()))?;
        let unknown = || Error::new(Kind::Unauthenticated, "Das Zugangstoken ist unbekannt.");
        let (account, row) = found.ok_or_else(unknown)?;
        Ok(Permit { tenant: self.slug.clone(), account, roles: row.data.roles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_case_file_is_moved_by_those_who_keep_it() {
        for (role, files, takes_in) in [
            (Role::Clerk, true, true),
            (Role::Records, true, false),
            (Role::Scanner, false, true),
            (Role::Auditor, false, false),
        ] {
            let account = AccountId::from_uuid(uuid::Uuid::from_u128(1));
            let permit = Permit { tenant: "t".parse().unwrap(), account, roles: vec![role] };
            assert_eq!(permit.require(Permission::File).is_ok(), files, "{role}");
            assert_eq!(permit.require(Permission::Ingest).is_ok(), takes_in, "{role}");
        }
    }

    #[test]
    fn a_token_names_its_tenant() {
        let tenant: TenantSlug = "kreis-7".parse().unwrap();
        let (text, digest) = new_token(&tenant, &crate::clock::SystemEntropy);
        assert_eq!(token_tenant(&text), Some(tenant));
        assert_eq!(digest, Digest::of(text.as_bytes()));
        for bad in ["", "eakte_", "eakte_x", "bearer", "eakte_A_00"] {
            assert_eq!(token_tenant(bad), None, "{bad}");
        }
    }
}
