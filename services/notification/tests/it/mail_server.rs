//! A mail server that takes what it is given, and can be made to behave badly at any step (RFC 5321). It stands for another
//! company's.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use testkit::SOON;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::process::free_address;

/// A step of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Greeting,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    /// The whole mail was said.
    End,
    Quit,
}

/// What the server does at a step instead of saying yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Say(&'static str),
    HangUp,
    /// Says nothing until it is told to be well again, and then yes.
    Wait,
}

/// A mail as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub from: String,
    pub to: String,
    pub text: String,
}

impl Mail {
    /// The value of a header that takes one line.
    pub fn header(&self, name: &str) -> &str {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(header, _)| *header == name).unwrap_or_else(|| panic!("{name} is in {head}")).1
    }
}

/// Listens until it is dropped.
pub struct MailServer {
    pub address: SocketAddr,
    state: Arc<State>,
    listening: JoinSet<()>,
}

struct State {
    manners: watch::Sender<HashMap<Step, Manner>>,
    /// What was said to the end, whether it was taken or not.
    mails: Mutex<Vec<Mail>>,
    /// Who has come to which step.
    steps: Mutex<Vec<Step>>,
}

impl MailServer {
    pub async fn start() -> Self {
        let state = State { manners: watch::Sender::default(), mails: Mutex::default(), steps: Mutex::default() };
        let mut server = Self { address: free_address(), state: Arc::new(state), listening: JoinSet::new() };
        server.start_again().await;
        server
    }

    /// Nobody is there any more; conversations end in the middle.
    pub async fn stop(&mut self) {
        self.listening.shutdown().await;
    }

    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let state = self.state.clone();
        self.listening.spawn(async move {
            let mut conversations = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = state.clone();
                // a client that goes away ends its conversation, which is no failure of the server
                conversations.spawn(async move { state.converse(stream).await.ok() });
            }
        });
    }

    /// From now on every conversation meets this at this step.
    pub fn behave(&self, step: Step, manner: Manner) {
        self.state.manners.send_modify(|manners| {
            manners.insert(step, manner);
        });
    }

    /// Says yes to everything from now on.
    pub fn be_well(&self) {
        self.state.manners.send_modify(HashMap::clear);
    }

    /// All mails that were said to their end, in their order.
    pub fn mails(&self) -> Vec<Mail> {
        self.state.mails.lock().unwrap().clone()
    }

    /// Waits until there are at least so many mails.
    pub async fn mails_until(&self, count: usize) -> Vec<Mail> {
        testkit::eventually(SOON, "the mails are there", async || self.mails().len() >= count).await;
        self.mails()
    }

    /// How many conversations have come to this step.
    pub fn reached(&self, step: Step) -> usize {
        self.state.steps.lock().unwrap().iter().filter(|&&reached| reached == step).count()
    }

    /// Waits until so many conversations have come to this step.
    pub async fn until_reached(&self, step: Step, count: usize) {
        testkit::eventually(SOON, "the conversations come so far", async || self.reached(step) >= count).await;
    }
}

impl State {
    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut mail = Mail { from: String::new(), to: String::new(), text: String::new() };
        if !self.answer(&mut stream, Step::Greeting, "220 sink").await? {
            return Ok(());
        }
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 0 {
            let command = line.trim_end().to_owned();
            line.clear();
            let (step, yes) = match command.split([' ', ':']).next().unwrap() {
                "EHLO" => (Step::Ehlo, "250-sink\r\n250 8BITMIME"),
                "MAIL" => {
                    command.trim_start_matches("MAIL FROM:").clone_into(&mut mail.from);
                    (Step::Mail, "250 yes")
                }
                "RCPT" => {
                    command.trim_start_matches("RCPT TO:").clone_into(&mut mail.to);
                    (Step::Rcpt, "250 yes")
                }
                "DATA" => (Step::Data, "354 go on"),
                "QUIT" => (Step::Quit, "221 goodbye"),
                other => panic!("{other} is no command of this conversation"),
            };
            if !self.answer(&mut stream, step, yes).await? {
                return Ok(());
            }
            let takes_the_mail = step == Step::Data && !self.manners.borrow().contains_key(&Step::Data);
            if takes_the_mail {
                mail.text = read_mail(&mut stream).await?;
                self.mails.lock().unwrap().push(mail.clone());
                if !self.answer(&mut stream, Step::End, "250 taken").await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Answers a step as the server behaves; false when the conversation is over.
    async fn answer(&self, stream: &mut BufReader<TcpStream>, step: Step, yes: &str) -> std::io::Result<bool> {
        self.steps.lock().unwrap().push(step);
        let manner = self.manners.borrow().get(&step).copied();
        let answer = match manner {
            None => yes,
            Some(Manner::Say(answer)) => answer,
            Some(Manner::HangUp) => return Ok(false),
            Some(Manner::Wait) => {
                let mut manners = self.manners.subscribe();
                let well = manners.wait_for(|manners| !manners.contains_key(&step)).await;
                well.expect("the server outlives its conversations");
                yes
            }
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        Ok(step != Step::Quit)
    }
}

/// The mail up to the line with a dot.
async fn read_mail(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut text = String::new();
    while !text.ends_with("\r\n.\r\n") {
        if stream.read_line(&mut text).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(text)
}
