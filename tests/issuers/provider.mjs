// An OpenID provider (oidc-provider) on loopback, as far as machines ask it: who asks, proves itself and is answered is all
// the package's own. Ours are the clients' list, a grant for RFC 8693 on its interfaces, and pages for the tests.
//
//   node provider.mjs NODE_MODULES CONFIG
//
// CONFIG is JSON: {"clients": [...], "tls": {"cert", "key", "ca"}}; clients are metadata of OpenID Connect Registration, whose
// keys may be given as `pem`; with tls it is https, which asks for a client certificate. Prints its port and that of the
// pages, and ends when stdin does.
//
//   GET  /-/seen               what was asked: of the token endpoint each request, of the metadata how often
//   GET  /-/good?token=T       whether an access token is good, and its end in Unix seconds
//   POST /-/first?client=ID    a first refresh token, as a login would have given it
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { pathToFileURL } from 'node:url';

const [modules, configFile] = process.argv.slice(2);
const { Provider, errors } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));
const config = JSON.parse(readFileSync(configFile, 'utf8'));

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
const ACCESS_TYPE = 'urn:ietf:params:oauth:token-type:access_token';

let serve = (request, answer) => answer.writeHead(503).end();
const handle = (request, answer) => serve(request, answer);
const server = config.tls
  ? https.createServer({
    cert: readFileSync(config.tls.cert),
    key: readFileSync(config.tls.key),
    ca: readFileSync(config.tls.ca),
    requestCert: true,
    rejectUnauthorized: false,
  }, handle)
  : http.createServer(handle);
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const { port } = server.address();
const issuer = `${config.tls ? 'https' : 'http'}://localhost:${port}`;

const clients = config.clients.map(({ pem, ...client }) => (
  pem ? { ...client, jwks: { keys: [{ ...createPublicKey(pem).export({ format: 'jwk' }), use: 'sig' }] } } : client
));
const provider = new Provider(issuer, {
  clients,
  clientAuthMethods: [
    'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth', 'none',
  ],
  enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'HS384', 'HS512', 'RS256', 'PS256', 'ES256', 'EdDSA'] },
  scopes: ['openid', 'offline_access', 'read', 'write'],
  cookies: { keys: ['only of a test'] },
  findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  rotateRefreshToken: true,
  ttl: {
    AccessToken: 600, ClientCredentials: 600, RefreshToken: 86400, Grant: 86400, IdToken: 600,
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'read write', audience: resource, accessTokenFormat: 'jwt',
      }),
    },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate()?.toString(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => {
        const certificate = ctx.socket.getPeerX509Certificate();
        return property === 'tls_client_auth_san_dns'
          && (certificate.subjectAltName ?? '').split(', ').includes(`DNS:${expected}`);
      },
    },
  },
});

// RFC 8693: a token of this issuer, that is good still, for another.
provider.registerGrantType(EXCHANGE, async (ctx) => {
  const { client, params } = ctx.oidc;
  if (![JWT_TYPE, ACCESS_TYPE].includes(params.subject_token_type)) {
    throw new errors.InvalidRequest('subject_token_type is not supported');
  }
  const subject = await provider.ClientCredentials.find(params.subject_token ?? '');
  if (!subject) {
    throw new errors.InvalidRequest('subject_token is not valid');
  }
  const token = new provider.ClientCredentials({ client, scope: params.scope });
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: ACCESS_TYPE,
    token_type: 'Bearer',
    expires_in: token.expiration,
  };
}, ['subject_token', 'subject_token_type', 'audience', 'scope', 'resource']);

const seen = [];
// What the client is not told of a refusal.
provider.on('grant.error', (ctx, error) => { ctx.why = error.error_detail; });
let discovered = 0;
provider.use(async (ctx, next) => {
  await next();
  if (ctx.path.startsWith('/.well-known/')) {
    discovered += 1;
  }
  if (ctx.path === '/token') {
    seen.push({
      form: ctx.oidc?.body ?? {},
      client: ctx.oidc?.client?.clientId,
      method: ctx.oidc?.client?.clientAuthMethod,
      authorization: ctx.headers.authorization,
      agent: ctx.headers['user-agent'],
      status: ctx.status,
      why: ctx.why,
      // Whose answer it was, without the token itself.
      sha256: ctx.body?.access_token && createHash('sha256').update(ctx.body.access_token).digest('hex'),
    });
  }
});

const koa = provider.callback();
serve = (request, answer) => koa(request, answer);

async function firstRefreshToken(id) {
  const client = await provider.Client.find(id);
  const grant = new provider.Grant({ accountId: 'robot', clientId: client.clientId });
  grant.addOIDCScope('offline_access read write');
  const first = new provider.RefreshToken({
    client, accountId: 'robot', grantId: await grant.save(), scope: 'offline_access read write', gty: 'authorization_code',
  });
  return { refresh_token: await first.save() };
}

async function good(token) {
  const found = await provider.AccessToken.find(token);
  return { good: found !== undefined, ends: found?.exp ?? null };
}

const pages = http.createServer(async (request, answer) => {
  const at = new URL(request.url, issuer);
  const body = {
    '/-/seen': () => ({ token: seen, discovered }),
    '/-/good': () => good(at.searchParams.get('token')),
    '/-/first': () => firstRefreshToken(at.searchParams.get('client')),
  }[at.pathname];
  answer.end(JSON.stringify(await body()));
});
await new Promise((done) => pages.listen(0, '127.0.0.1', done));
process.stdout.write(`${port} ${pages.address().port}\n`);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
