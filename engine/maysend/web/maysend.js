/**
 * Preference pages of your own: CleverTap's methods over maysend's JSON API.
 *
 *   <script src="https://mail.example.com/maysend.js"></script>
 *   const person = await maysend.getEmail();
 *   await maysend.changeSubscriptionGroups({ offers: false });
 *
 * The token comes from the page's own address: `?token=…` or `#token=…`, as links lead there. Every method returns a
 * promise of what holds then: { address, subscribed, groups: [{ name, title, description, subscribed }], link_groups,
 * channel, campaign, test }. It is rejected with an Error whose message can be shown where nothing was saved.
 */
(() => {
  "use strict";

  const api = new URL("api/preferences/", document.currentScript.src);
  let last = null;

  function token() {
    const { search, hash } = window.location;
    return new URLSearchParams(search).get("token") || new URLSearchParams(hash.slice(1)).get("token") || "";
  }

  async function ask(changes) {
    const options = { cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" };
    if (changes) {
      Object.assign(options, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(changes),
      });
    }
    const response = await fetch(new URL(encodeURIComponent(token() || "-"), api), options);
    const answer = await response.json();
    if (!response.ok) {
      throw new Error(answer.error);
    }
    last = answer;
    return answer;
  }

  /** CleverTap passes [{ name, isUnsubscribed }]; { name: subscribed } says the same. */
  function asChanges(groups) {
    if (!Array.isArray(groups)) {
      return groups;
    }
    return Object.fromEntries(groups.map((group) => [group.name, !group.isUnsubscribed]));
  }

  window.maysend = Object.freeze({
    /** The masked address, and every group with its status. */
    getEmail: () => ask(),
    /** The groups as last heard; ask with getEmail first. */
    getSubscriptionGroups: () => (last ? last.groups : []),
    /** Change the groups named, all or none; groups not named stay as they are. */
    changeSubscriptionGroups: (groups) => ask({ groups: asChanges(groups) }),
    /** Leave the whole channel. */
    unSubEmail: () => ask({ subscribed: false }),
    /** Return to the whole channel: every group is again as it was last chosen. */
    subEmail: () => ask({ subscribed: true }),
  });
})();
