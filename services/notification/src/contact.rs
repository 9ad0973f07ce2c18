//! Asking accounts whom to write to. It is asked anew for the messages that are claimed together, and kept nowhere else:
//! personal data lives in accounts.

use std::{sync::Arc, time::Duration};

use contracts::{
    accounts::v1::{GetContactRequest, GetContactResponse, accounts_service_client::AccountsServiceClient},
    ids::AccountId,
    problem::ProblemCode,
};
use lettre::{Address, message::Mailbox};
use rpc::Channel;
use tokio::sync::OnceCell;

use crate::delivery::Undelivered;

/// How long accounts may take.
const BUDGET: Duration = Duration::from_secs(3);

/// Whom a customer's mail goes to, asked for by the first who wants to know. Clones share the answer, which goes with the last
/// of them.
#[derive(Clone, Default)]
pub(crate) struct Contact(Arc<OnceCell<Result<Mailbox, Undelivered>>>);

impl Contact {
    pub(crate) async fn mailbox_of(
        &self,
        accounts: &AccountsServiceClient<Channel>,
        customer: AccountId,
    ) -> Result<Mailbox, Undelivered> {
        self.0.get_or_init(|| ask(accounts, customer)).await.clone()
    }
}

async fn ask(accounts: &AccountsServiceClient<Channel>, customer: AccountId) -> Result<Mailbox, Undelivered> {
    let request = GetContactRequest { account_id: customer.to_string() };
    let answer = rpc::ask(BUDGET, request, |request| {
        let mut accounts = accounts.clone();
        async move { accounts.get_contact(request).await }
    });
    let contact = answer.await.map_err(|status| match rpc::problem_of(&status) {
        ProblemCode::NotFound => Undelivered::Refused("accounts knows no such account".to_owned()),
        problem => Undelivered::Outage(format!("accounts does not answer: {}", problem.word())),
    })?;
    mailbox(&contact)
}

/// The name and the address in the form of a mail.
fn mailbox(contact: &GetContactResponse) -> Result<Mailbox, Undelivered> {
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
        let mailbox = mailbox(&GetContactResponse { name, email: "ada@example.com".to_owned() }).unwrap();
        assert_eq!(mailbox.to_string(), "\"Ada  Bcc: eve@example.com    hello\" <ada@example.com>");
    }
}
