//! The telephone of accounts: decode, do, encode. Database work is never cut short by a caller that hangs up.

use std::sync::Arc;

use contracts::{
    accounts::v1::{
        EnsureAccountRequest, EnsureAccountResponse, EraseAccountRequest, EraseAccountResponse, GetAccountRequest,
        GetAccountResponse, GetAddressesRequest, GetAddressesResponse, GetContactsRequest, GetContactsResponse,
        JwksRequest, JwksResponse, LoginRequest, LoginResponse, RegisterRequest, RegisterResponse, SetAddressRequest,
        SetAddressResponse, accounts_service_server::AccountsService,
    },
    ids::AccountId,
};
use service_runtime::Shutdown;
use tonic::{Request, Response, Status};

use crate::{
    Deps,
    account::{Account, Address, Role},
    contact::{Found, get_account, get_accounts, set_address},
    ensure::ensure_account,
    erase::erase_account,
    error::AccountsError,
    login::login,
    register::{NewAccount, register},
    signing_key::LIFE_SECONDS,
};

/// The service `accounts.v1.AccountsService`.
#[derive(Debug)]
pub struct Accounts {
    deps: Arc<Deps>,
    shutdown: Shutdown,
}

impl Accounts {
    /// The service, on these dependencies.
    pub fn new(deps: Arc<Deps>, shutdown: Shutdown) -> Self {
        Self { deps, shutdown }
    }
}

#[tonic::async_trait]
impl AccountsService for Accounts {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let new = NewAccount::try_from(request.into_inner())?;
        let deps = self.deps.clone();
        let account = rpc::uncut(&self.shutdown, async move {
            let account = register(&deps.pool, &deps.hasher, deps.clock, new, Role::Customer).await?;
            deps.relay.wake();
            Ok(account)
        });
        Ok(Response::new(RegisterResponse { account: Some(account.await?.into()) }))
    }

    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        let LoginRequest { email, password } = request.into_inner();
        let deps = self.deps.clone();
        let token = rpc::uncut(&self.shutdown, async move { Ok(login(&deps, email, password).await?) });
        Ok(Response::new(LoginResponse { access_token: token.await?, expires_in_seconds: LIFE_SECONDS }))
    }

    async fn jwks(&self, _: Request<JwksRequest>) -> Result<Response<JwksResponse>, Status> {
        Ok(Response::new(JwksResponse { jwks_json: self.deps.signing_key.jwks_json().to_owned() }))
    }

    async fn get_account(&self, request: Request<GetAccountRequest>) -> Result<Response<GetAccountResponse>, Status> {
        let id = account_id(&request.into_inner().account_id)?;
        let deps = self.deps.clone();
        let account = rpc::uncut(&self.shutdown, async move { Ok(get_account(&deps, id).await?) });
        Ok(Response::new(GetAccountResponse { account: Some(account.await?.into()) }))
    }

    async fn set_address(&self, request: Request<SetAddressRequest>) -> Result<Response<SetAddressResponse>, Status> {
        let SetAddressRequest { account_id: id, address } = request.into_inner();
        let id = account_id(&id)?;
        let address = Address::try_from(address.unwrap_or_default())?;
        let deps = self.deps.clone();
        let account = rpc::uncut(&self.shutdown, async move { Ok(set_address(&deps, id, &address).await?) });
        Ok(Response::new(SetAddressResponse { account: Some(account.await?.into()) }))
    }

    async fn ensure_account(
        &self,
        request: Request<EnsureAccountRequest>,
    ) -> Result<Response<EnsureAccountResponse>, Status> {
        let account = Account::try_from(request.into_inner())?;
        let deps = self.deps.clone();
        rpc::uncut(&self.shutdown, async move { Ok(ensure_account(&deps, &account).await?) }).await?;
        Ok(Response::new(EnsureAccountResponse {}))
    }

    async fn erase_account(
        &self,
        request: Request<EraseAccountRequest>,
    ) -> Result<Response<EraseAccountResponse>, Status> {
        let id = account_id(&request.into_inner().account_id)?;
        let deps = self.deps.clone();
        rpc::uncut(&self.shutdown, async move { Ok(erase_account(&deps, id).await?) }).await?;
        Ok(Response::new(EraseAccountResponse {}))
    }

    async fn get_contacts(
        &self,
        request: Request<GetContactsRequest>,
    ) -> Result<Response<GetContactsResponse>, Status> {
        let Found { accounts, unreadable, erased } = self.found(&request.into_inner().account_ids).await?;
        Ok(Response::new(GetContactsResponse {
            contacts: accounts.into_iter().map(Into::into).collect(),
            unreadable_ids: texts(unreadable),
            erased_ids: texts(erased),
        }))
    }

    async fn get_addresses(
        &self,
        request: Request<GetAddressesRequest>,
    ) -> Result<Response<GetAddressesResponse>, Status> {
        let Found { accounts, unreadable, erased } = self.found(&request.into_inner().account_ids).await?;
        Ok(Response::new(GetAddressesResponse {
            destinations: accounts.into_iter().map(Into::into).collect(),
            unreadable_ids: texts(unreadable),
            erased_ids: texts(erased),
        }))
    }
}

impl Accounts {
    async fn found(&self, ids: &[String]) -> Result<Found, Status> {
        rpc::server::check_list(ids)?;
        let ids = ids.iter().map(|id| account_id(id)).collect::<Result<Vec<_>, _>>()?;
        let deps = self.deps.clone();
        rpc::uncut(&self.shutdown, async move { Ok(get_accounts(&deps, &ids).await?) }).await
    }
}

fn texts(ids: Vec<AccountId>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

/// The id of an account, as a caller writes it.
pub(crate) fn account_id(text: &str) -> Result<AccountId, AccountsError> {
    text.parse().map_err(|_| AccountsError::Invalid { field: "account_id", rule: "must be a UUID".to_owned() })
}
