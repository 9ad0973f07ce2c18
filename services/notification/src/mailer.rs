//! Taking a message away: by SMTP, or as a line in the log where no mail server is named.

mod smtp;

use lettre::message::{Mailbox, Message, header::ContentType};
use rpc::server::LIST_ITEMS_MAX;
use service_runtime::Error;
use tracing::info;

use crate::{Config, delivery::Undelivered, message::DueMessage};
use smtp::MailServer;

/// The right half of every Message-ID. It is no setting, so that a message that is sent again keeps its Message-ID whatever
/// was changed in between; RFC 2606 reserves the name, so it is nobody else's.
const MESSAGE_ID_DOMAIN: &str = "postbox.invalid";

/// Where messages go.
#[derive(Debug)]
pub enum Mailer {
    /// Nowhere.
    Log,
    /// To a mail server.
    Smtp(Box<Smtp>),
}

/// A mail server, and the sender that it is told.
#[derive(Debug)]
pub struct Smtp {
    server: MailServer,
    from: Mailbox,
}

impl Mailer {
    /// The mailer that the settings name.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let Some(url) = &config.smtp_url else { return Ok(Self::Log) };
        let Some(from) = config.smtp_from.clone() else {
            return Err(Error::Config("SMTP_FROM must say whom mail comes from when SMTP_URL is set".to_owned()));
        };
        Ok(Self::Smtp(Box::new(Smtp { server: MailServer::at(url)?, from })))
    }

    /// How many messages may be on their way at a time. A mail server takes few connections from one sender.
    pub(crate) const fn at_once(&self) -> usize {
        match self {
            Self::Log => LIST_ITEMS_MAX,
            Self::Smtp(_) => 8,
        }
    }

    /// Sends a message. `Ok` once the mail server has taken it upon itself (RFC 5321, 4.2.5).
    pub(crate) async fn send(&self, message: &DueMessage, to: Mailbox) -> Result<(), Undelivered> {
        match self {
            Self::Log => {
                info!(message.id = %message.id, order.id = %message.order, subject = message.text.subject, "no SMTP_URL, not mailed");
                Ok(())
            }
            Self::Smtp(smtp) => {
                let mail = mail(message, smtp.from.clone(), to)
                    .map_err(|error| Undelivered::Refused(format!("it cannot be made into a mail: {error}")))?;
                smtp.server.send(mail.envelope(), &mail.formatted()).await
            }
        }
    }
}

fn mail(message: &DueMessage, from: Mailbox, to: Mailbox) -> Result<Message, lettre::error::Error> {
    Message::builder()
        .message_id(Some(format!("<{}@{MESSAGE_ID_DOMAIN}>", message.id)))
        .from(from)
        .to(to)
        .subject(message.text.subject.clone())
        .header(ContentType::TEXT_PLAIN)
        .body(message.text.body.clone())
}
