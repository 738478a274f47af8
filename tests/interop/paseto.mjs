// The other side of the interoperation tests: paseto-ts, as an ad server would use it.
//
//   node paseto.mjs mint KEY KID PURPOSE CLAIMS   prints the token
//   node paseto.mjs read KEY PURPOSE TOKEN        prints {"footer":...,"payload":...}
//
// KEY is PASERK text (k4.local.), CLAIMS a JSON object. A token that is refused: exit status 1.
import { decrypt, encrypt } from "paseto-ts/v4";

const assertionOf = (purpose) => `adtally/${purpose}`;

const modes = {
  mint: (key, kid, purpose, claims) =>
    encrypt(key, JSON.parse(claims), { footer: { kid }, assertion: assertionOf(purpose) }),
  read: (key, purpose, token) =>
    JSON.stringify(decrypt(key, token, { assertion: assertionOf(purpose) })),
};

const [mode, ...operands] = process.argv.slice(2);
const run = Object.hasOwn(modes, mode ?? "") ? modes[mode] : null;
if (!run || operands.length !== run.length) {
  console.error("usage: paseto.mjs mint KEY KID PURPOSE CLAIMS | read KEY PURPOSE TOKEN");
  process.exit(2);
}
try {
  console.log(run(...operands));
} catch (error) {
  console.error(`refused: ${error.message}`);
  process.exit(1);
}
