//! Operators do not register: whoever may reach the database makes them.

use std::io::Read;

use contracts::accounts::v1::RegisterRequest;
use service_runtime::{Error, Shutdown, clock::Clock, config::DatabaseConfig, database};
use tracing::info;

use crate::{
    account::{Account, Role},
    config::{CreateOperatorConfig, SeedConfig},
    error::AccountsError,
    password::Hasher,
    register::{NewAccount, register},
};

/// Makes the operator that every profile begins with, unless it is there.
pub async fn seed(config: SeedConfig, shutdown: &Shutdown) -> Result<(), Error> {
    let operator = operator("operator@example.com", "operator-demo", "Operator")?;
    match make(&config.database, operator, shutdown).await? {
        Ok(account) => info!(account.id = %account.id, email = account.email.as_str(), "made the operator"),
        Err(AccountsError::EmailTaken) => info!("the operator was there before"),
        Err(error) => return Err(Error::other("making the operator", error)),
    }
    Ok(())
}

/// Makes an operator with the password that comes on standard input, up to the end of its first line.
pub async fn create(config: CreateOperatorConfig, shutdown: &Shutdown) -> Result<(), Error> {
    let operator = operator(&config.email, &password_from_stdin().await?, &config.name)?;
    let made = make(&config.database, operator, shutdown).await?;
    let account = made.map_err(|error| Error::other("making the operator", error))?;
    info!(account.id = %account.id, email = account.email.as_str(), "made the operator");
    Ok(())
}

fn operator(email: &str, password: &str, name: &str) -> Result<NewAccount, Error> {
    let request = RegisterRequest {
        email: email.to_owned(),
        password: password.to_owned(),
        name: name.to_owned(),
        address: None,
    };
    request.try_into().map_err(|error: AccountsError| Error::Config(error.to_string()))
}

async fn make(
    database: &DatabaseConfig,
    operator: NewAccount,
    shutdown: &Shutdown,
) -> Result<Result<Account, AccountsError>, Error> {
    let pool = database::connect(database).await?;
    // nobody is woken: the relay of whoever serves finds the letter. Spawned: a signal must not drop the transaction in the middle
    shutdown
        .spawn_work(async move { register(&pool, &Hasher::new(), Clock::System, operator, Role::Operator).await })
        .await
        .map_err(|panic| Error::other("making the operator", panic))
}

async fn password_from_stdin() -> Result<String, Error> {
    let reading = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        // longer than any password: nobody pipes a disk into memory
        std::io::stdin().take(4_096).read_to_string(&mut text).map(|_| text)
    });
    let text = match reading.await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return Err(Error::other("reading the password from standard input", error)),
        Err(panic) => return Err(Error::other("reading the password from standard input", panic)),
    };
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
