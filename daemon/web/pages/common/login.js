// Signing up and logging in.
import { t } from "./text.js";
import { call, el, field, form, setSession } from "./base.js";

// loginForm asks for name and password; done is called when somebody is logged in.
// other, a link or button, leads from the one to the other.
export function loginForm(signUp, props, heading, other, done) {
  const name = el("input", { id: "name", autocomplete: "username", required: true, maxLength: 64, autocapitalize: "none" });
  const password = el("input", { id: "password", type: "password", autocomplete: signUp ? "new-password" : "current-password", required: true });
  const invite = el("input", { id: "invite", autocomplete: "off" });
  return form(props, async (say) => {
    const rep = await call("POST", signUp ? "/user/register-by-username" : "/user/login",
      signUp ? { username: name.value, password: password.value, inviteCode: invite.value } : { Username: name.value, Password: password.value }, say);
    if (!rep) return;
    setSession({ token: rep.Userinfo.Token, user: rep.Userinfo.UserId, name: rep.Userinfo.Nickname });
    done();
  }, ...heading, field("username", name), field("password", password),
  signUp ? field("invite", invite) : el("p", { className: "dim" }, t("secondFactor")),
  el("button", { className: "main" }, t(signUp ? "register" : "login")), " ", other);
}
