//! An account that is erased: nothing of the person is left, and everybody is told so in the same way.

use contracts::{
    accounts::v1::{
        Address, GetAccountRequest, GetAddressesRequest, GetAddressesResponse, GetContactsRequest, GetContactsResponse,
        RegisterRequest,
    },
    ids::AccountId,
    problem::ProblemCode,
};
use testkit::{SOON, eventually, places_with};

use crate::process::{PASSWORD, Process, address, newcomer, refused_as, run, start};

/// What a person called Ada tells of herself, in words that stand for nothing else.
const EMAIL: &str = "Quillfeather@Lighthouse.example";
const NAME: &str = "Adelheid Quillfeather";
const HOMES: [[&str; 4]; 2] = [
    ["7 Wickerwood Close", "Left of the Wellspring", "Umbersand", "UMB 4471"],
    ["12 Gooseberry Mews", "Behind the Orrery", "Thistledown", "THI 9920"],
];
const WORDS: [&str; 11] = [
    "Quillfeather",
    "Lighthouse",
    "Adelheid",
    "Wickerwood",
    "Wellspring",
    "Umbersand",
    "UMB 4471",
    "Gooseberry",
    "Orrery",
    "Thistledown",
    "THI 9920",
];

fn home([line1, line2, city, postal_code]: [&str; 4]) -> Address {
    let texts = [line1, line2, city, postal_code].map(str::to_owned);
    let [line1, line2, city, postal_code] = texts;
    Address { line1, line2, city, postal_code, country: "GB".to_owned() }
}

async fn ada(accounts: &Process) -> String {
    let request = RegisterRequest { name: NAME.to_owned(), ..newcomer(EMAIL, Some(home(HOMES[0]))) };
    let id = accounts.register_as(request).await.unwrap().account_id;
    accounts.set_address(&id, home(HOMES[1])).await.unwrap();
    id
}

async fn grace(accounts: &Process) -> String {
    accounts.register("grace@example.com").await.unwrap().account_id
}

impl Process {
    /// What the planner remembers of the tables is made anew.
    async fn analyze(&self) {
        sqlx::query("ANALYZE").execute(&self.database.owner).await.unwrap();
    }

    /// Waits until so many sessions of the service wait for a lock.
    async fn waiting_for_locks(&self, sessions: i64) {
        eventually(SOON, "they wait for the lock", async || {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
                 WHERE datname = current_database() AND NOT granted",
            )
            .fetch_one(&self.database.owner)
            .await
            .unwrap();
            waiting == sessions
        })
        .await;
    }
}

#[tokio::test]
async fn no_column_of_any_table_holds_a_word_of_an_erased_person() {
    let accounts = start().await;
    // others, of whom the planner could remember something, and whose words stay
    for number in 0..20 {
        accounts.register(&format!("someone-{number}@example.com")).await.unwrap();
    }
    let id = ada(&accounts).await;
    let hash: String = sqlx::query_scalar("SELECT password_hash FROM account WHERE account_id = $1::uuid")
        .bind(&id)
        .fetch_one(&accounts.database.owner)
        .await
        .unwrap();
    let salt_and_hash = hash.rsplit("p=1$").next().unwrap();
    let words: Vec<&str> = WORDS.into_iter().chain([salt_and_hash]).collect();
    accounts.analyze().await;
    // who looks finds what there is: the second home took the place of the first
    let found = places_with(&accounts.database.owner, &words).await;
    let expected = ["account: Quillfeather", "account: Lighthouse", "account: Adelheid"]
        .into_iter()
        .chain(["address: Gooseberry", "address: Orrery", "address: Thistledown", "address: THI 9920"])
        .map(str::to_owned)
        .chain([format!("account: {salt_and_hash}")]);
    assert_eq!(found, expected.collect());

    accounts.erase(&id).await.unwrap();
    let left = places_with(&accounts.database.owner, &words).await;
    assert!(left.is_empty(), "{left:?}");
    accounts.analyze().await;
    let left = places_with(&accounts.database.owner, &words).await;
    assert!(left.is_empty(), "{left:?}");
    // and everybody else is as before
    assert_eq!(places_with(&accounts.database.owner, &["someone-7@"]).await.len(), 1);
    accounts.login("someone-7@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn the_email_is_free_for_another_account() {
    let accounts = start().await;
    let id = ada(&accounts).await;
    accounts.erase(&id).await.unwrap();
    let another = accounts.register(EMAIL).await.unwrap();
    assert_ne!(another.account_id, id);
    let token = accounts.login(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(accounts.verified(&token).await["sub"], another.account_id);
    // and once more: tombstones are in nobody's way
    accounts.erase(&another.account_id).await.unwrap();
    accounts.register(EMAIL).await.unwrap();
    assert_eq!(accounts.accounts_kept().await, 3);
}

#[tokio::test]
async fn an_erased_account_is_not_there_for_anybody() {
    let accounts = start().await;
    let id = ada(&accounts).await;
    let (grace, nobody) = (accounts.register("grace@example.com").await.unwrap(), AccountId::new().to_string());
    accounts.erase(&id).await.unwrap();

    let request = GetAccountRequest { account_id: id.clone() };
    assert_eq!(refused_as(accounts.client.clone().get_account(request).await), ProblemCode::NotFound);
    assert_eq!(refused_as(accounts.set_address(&id, address("1 High Street")).await), ProblemCode::NotFound);
    assert_eq!(refused_as(accounts.login(EMAIL, PASSWORD).await), ProblemCode::WrongCredentials);

    // left out like somebody who never was, and named, so that nobody asks again
    let account_ids = vec![id.clone(), nobody, grace.account_id.clone()];
    let request = GetContactsRequest { account_ids: account_ids.clone() };
    let GetContactsResponse { contacts, unreadable_ids, erased_ids } =
        accounts.client.clone().get_contacts(request).await.unwrap().into_inner();
    let told: Vec<_> = contacts.into_iter().map(|contact| contact.account_id).collect();
    assert_eq!((told, unreadable_ids, erased_ids), (vec![grace.account_id.clone()], vec![], vec![id.clone()]));
    let request = GetAddressesRequest { account_ids };
    let GetAddressesResponse { destinations, unreadable_ids, erased_ids } =
        accounts.client.clone().get_addresses(request).await.unwrap().into_inner();
    let told: Vec<_> = destinations.into_iter().map(|destination| destination.account_id).collect();
    assert_eq!((told, unreadable_ids, erased_ids), (vec![grace.account_id], vec![], vec![id]));
}

#[tokio::test]
async fn erasing_again_and_all_at_once_is_one_change() {
    let accounts = start().await;
    let id = ada(&accounts).await;
    let at_once = futures::future::join_all((0..8).map(|_| accounts.erase(&id))).await;
    assert!(at_once.into_iter().all(|erased| erased.is_ok()));
    accounts.erase(&id).await.unwrap();
    let (version, letters): (i64, i64) = sqlx::query_as(
        "SELECT version, (SELECT count(*) FROM outbox WHERE key = account_id::text)
         FROM account WHERE account_id = $1::uuid",
    )
    .bind(&id)
    .fetch_one(&accounts.database.owner)
    .await
    .unwrap();
    assert_eq!((version, letters), (3, 3), "registered, moved, erased");
}

#[tokio::test]
async fn an_address_that_is_set_while_the_account_is_erased_does_not_stay_behind() {
    let accounts = start().await;
    let id = accounts.register(EMAIL).await.unwrap().account_id;
    // both wait for the account, the erasure first
    let mut lock = accounts.database.owner.begin().await.unwrap();
    sqlx::query("SELECT FROM account WHERE account_id = $1::uuid FOR NO KEY UPDATE")
        .bind(&id)
        .execute(&mut *lock)
        .await
        .unwrap();
    let letting_go = async {
        accounts.waiting_for_locks(1).await;
        let setting = accounts.set_address(&id, home(HOMES[0]));
        let letting_go = async {
            accounts.waiting_for_locks(2).await;
            lock.commit().await.unwrap();
        };
        tokio::join!(setting, letting_go).0
    };
    let (erased, set) = tokio::join!(accounts.erase(&id), letting_go);
    erased.unwrap();
    assert_eq!(refused_as(set), ProblemCode::NotFound);
    let left = places_with(&accounts.database.owner, &WORDS).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn who_was_erased_does_not_come_back_by_what_another_issuer_tells() {
    let accounts = start().await;
    let outsider = AccountId::new().to_string();
    accounts.ensure(&outsider, EMAIL, NAME).await.unwrap();
    accounts.set_address(&outsider, home(HOMES[0])).await.unwrap();
    let moved_in = ada(&accounts).await;
    for id in [&outsider, &moved_in] {
        accounts.erase(id).await.unwrap();
        for (email, name) in [(EMAIL, NAME), ("someone@example.com", "Someone")] {
            assert_eq!(refused_as(accounts.ensure(id, email, name).await), ProblemCode::NotFound);
        }
        assert_eq!(refused_as(accounts.account(id).await), ProblemCode::NotFound);
        let letters: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE key = $1")
            .bind(id)
            .fetch_one(&accounts.database.owner)
            .await
            .unwrap();
        assert_eq!(letters, 3, "registered, moved, erased");
    }
    accounts.analyze().await;
    let left = places_with(&accounts.database.owner, &WORDS).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_another_issuer_tells_while_the_account_is_erased_does_not_stay_behind() {
    let accounts = start().await;
    let id = AccountId::new().to_string();
    accounts.ensure(&id, "ada@example.com", "Ada").await.unwrap();
    // both wait for the account, the erasure first
    let mut lock = accounts.database.owner.begin().await.unwrap();
    sqlx::query("SELECT FROM account WHERE account_id = $1::uuid FOR NO KEY UPDATE")
        .bind(&id)
        .execute(&mut *lock)
        .await
        .unwrap();
    let letting_go = async {
        accounts.waiting_for_locks(1).await;
        let ensuring = accounts.ensure(&id, EMAIL, NAME);
        let letting_go = async {
            accounts.waiting_for_locks(2).await;
            lock.commit().await.unwrap();
        };
        tokio::join!(ensuring, letting_go).0
    };
    let (erased, ensured) = tokio::join!(accounts.erase(&id), letting_go);
    erased.unwrap();
    assert_eq!(refused_as(ensured), ProblemCode::NotFound);
    let left = places_with(&accounts.database.owner, &WORDS).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn nobody_and_no_operator_is_erased() {
    let accounts = start().await;
    assert_eq!(refused_as(accounts.erase(&AccountId::new().to_string()).await), ProblemCode::NotFound);
    assert_eq!(refused_as(accounts.erase("ada").await), ProblemCode::Invalid);
    assert!(run(&["seed", "demo"], &accounts.database.app_url, "").status.success());
    let operator: String =
        sqlx::query_scalar("SELECT account_id::text FROM account").fetch_one(&accounts.database.owner).await.unwrap();
    assert_eq!(refused_as(accounts.erase(&operator).await), ProblemCode::Forbidden);
    accounts.login("operator@example.com", "operator-demo").await.unwrap();
}

#[tokio::test]
async fn a_row_is_a_whole_person_or_nothing_is_left_of_one() {
    let accounts = start().await;
    let (id, outsider, erased) = (ada(&accounts).await, AccountId::new().to_string(), grace(&accounts).await);
    accounts.ensure(&outsider, EMAIL, NAME).await.unwrap();
    accounts.erase(&erased).await.unwrap();
    // who signs in elsewhere has no password, and is whole
    for (id, half) in [
        (&id, "email = NULL"),
        (&id, "name = NULL"),
        (&id, "erased_at = now()"),
        (&outsider, "email = NULL"),
        (&outsider, "name = NULL"),
        (&outsider, "erased_at = now()"),
        (&erased, "email = 'ada@example.com'"),
        (&erased, "name = 'Ada'"),
        (&erased, "password_hash = 'a hash'"),
        (&erased, "erased_at = NULL"),
    ] {
        let update = sqlx::AssertSqlSafe(format!("UPDATE account SET {half} WHERE account_id = '{id}'"));
        let refused = sqlx::query(update).execute(&accounts.database.app).await.unwrap_err();
        let constraint = refused.as_database_error().and_then(|told| told.constraint());
        assert_eq!(constraint, Some("account_is_whole_or_erased"), "{half}");
    }
}
