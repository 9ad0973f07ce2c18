//! Asking accounts whom to write to. It is asked anew for the messages that are claimed together, and kept nowhere else:
//! personal data lives in accounts.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use contracts::{
    accounts::v1::{Contact, GetContactsRequest, GetContactsResponse, accounts_service_client::AccountsServiceClient},
    ids::AccountId,
};
use lettre::{Address, message::Mailbox};
use rpc::{Channel, server::LIST_ITEMS_MAX};

use crate::delivery::Undelivered;

/// How long accounts may take.
const BUDGET: Duration = Duration::from_secs(3);

/// Whom the mail of customers goes to, or why none can be sent to them.
#[derive(Default)]
pub(crate) struct Contacts(HashMap<AccountId, Result<Mailbox, Undelivered>>);

impl Contacts {
    /// Asks for these customers, at most [`LIST_ITEMS_MAX`].
    pub(crate) async fn of(accounts: &AccountsServiceClient<Channel>, customers: &BTreeSet<AccountId>) -> Self {
        debug_assert!(customers.len() <= LIST_ITEMS_MAX, "accounts refuses longer lists");
        let request = GetContactsRequest { account_ids: customers.iter().map(AccountId::to_string).collect() };
        let answer = rpc::ask(BUDGET, request, |request| {
            let mut accounts = accounts.clone();
            async move { accounts.get_contacts(request).await }
        });
        match answer.await {
            Ok(told) => Self::told(told),
            Err(status) => {
                let reason = format!("accounts does not answer: {}", rpc::problem_of(&status).word());
                let outage = || Err(Undelivered::Outage(reason.clone()));
                Self(customers.iter().map(|&customer| (customer, outage())).collect())
            }
        }
    }

    fn told(GetContactsResponse { contacts, unreadable_ids, erased_ids }: GetContactsResponse) -> Self {
        let unreadable = || Err(Undelivered::Outage("accounts cannot read the account".to_owned()));
        let unreadable = unreadable_ids.iter().map(|id| (id.parse(), unreadable()));
        let erased = erased_ids.iter().map(|id| (id.parse(), Err(Undelivered::Erased)));
        let told = contacts.iter().map(|contact| (contact.account_id.parse(), mailbox(contact)));
        // an id that is none is of nobody who was asked for
        Self(told.chain(unreadable).chain(erased).filter_map(|(id, mailbox)| Some((id.ok()?, mailbox))).collect())
    }

    /// Whom a customer's mail goes to.
    pub(crate) fn mailbox(&self, customer: AccountId) -> Result<Mailbox, Undelivered> {
        let nobody = || Err(Undelivered::Refused("accounts knows no such account".to_owned()));
        self.0.get(&customer).cloned().unwrap_or_else(nobody)
    }
}

/// The name and the address in the form of a mail.
fn mailbox(contact: &Contact) -> Result<Mailbox, Undelivered> {
    // accounts takes more for an address than mail does
    let address: Address = contact
        .email
        .parse()
        .map_err(|_| Undelivered::Refused("the email of the account is none that mail can be sent to".to_owned()))?;
    // a line break would end the header; lettre 0.11 panics at one
    let name = contact.name.replace(char::is_control, " ");
    Ok(Mailbox::new(Some(name), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_write_headers_of_its_own() {
        let name = "Ada\r\nBcc: eve@example.com\r\n\r\nhello\0".to_owned();
        let contact = Contact { account_id: String::new(), name, email: "ada@example.com".to_owned() };
        let mailbox = mailbox(&contact).unwrap();
        assert_eq!(mailbox.to_string(), "\"Ada  Bcc: eve@example.com    hello\" <ada@example.com>");
    }
}
