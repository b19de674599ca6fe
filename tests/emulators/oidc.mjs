// Serves npm's oidc-provider on 127.0.0.1 until standard input is closed. Prints its address.
// Argument: JSON with `audience` of the API, `staff` (client id, secret, redirect URI), and `people`:
// the claims of each by the name that is typed into its login page.
// POST /rotate has it sign with a new key from then on, and forget the old one.
import { createServer } from "node:http";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const { audience, staff, people } = JSON.parse(process.argv[2]);
const server = createServer((request, response) => answer(request, response));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const clients = [
  { client_id: staff.id, client_secret: staff.secret, redirect_uris: [staff.redirect_uri] },
  {
    client_id: "reading-app",
    token_endpoint_auth_method: "none",
    application_type: "native",
    redirect_uris: ["http://127.0.0.1/app"],
  },
];

function provider() {
  const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
  return new Provider(issuer, {
    clients,
    jwks: { keys: [{ ...key, kid: randomUUID(), use: "sig", alg: "RS256" }] },
    cookies: { keys: ["of the tests"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["given_name", "family_name"] },
    findAccount: (_context, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
    extraTokenClaims: (_context, token) => people[token.accountId],
    features: {
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context, _client, asked) => asked,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: "library",
          audience: resource,
          accessTokenFormat: "jwt",
          accessTokenTTL: 300,
        }),
      },
    },
  }).callback();
}

let current = provider();
function answer(request, response) {
  if (request.url !== "/rotate") return current(request, response);
  current = provider();
  response.end();
}

console.log(issuer);
process.stdin.on("end", () => process.exit()).resume();
