// What signing in and out, and another password, are called.

const zh = {
  signIn: {
    title: "登录控制台",
    user: "用户名",
    password: "密码",
    submit: "登录",
    wrong: "用户名或密码不正确。",
    code: "验证码",
    codeNote: "请输入身份验证器应用中的 6 位数字。每个验证码只能用一次。",
    wrongCode: "验证码不正确或已用过，请等待下一个。",
    other: "换一个用户",
    provider: (host: string) => `通过 ${host} 登录`,
    locked: (seconds: number) => `尝试次数过多，请在 ${seconds} 秒后再试。`,
    reasons: {
      left: "您已退出登录。",
      idle: "长时间未操作，已自动退出，请重新登录。",
      ended: "会话已结束（可能在别处退出，或服务器已重启），请重新登录。",
    },
  },
  session: { signOut: "退出登录", signedInAs: (user: string) => `当前用户：${user}`, role: "角色" },
  password: {
    change: "修改密码",
    current: "当前密码",
    other: "新密码（至少 10 个字节）",
    again: "再次输入新密码",
    differ: "两次输入的新密码不一致。",
    wrong: "当前密码或验证码不正确。",
    elsewhere: "您的账户不在此处管理：请联系管理员，或在您登录所用的身份提供方修改。",
    done: "密码已修改。您在别处的会话均已结束。",
    submit: "修改",
  },
};

const en: typeof zh = {
  signIn: {
    title: "Sign in to the console",
    user: "User",
    password: "Password",
    submit: "Sign in",
    wrong: "User or password is wrong.",
    code: "Code",
    codeNote: "Six digits from your authenticator app. Each counts once.",
    wrongCode: "The code is wrong or was used before. Wait for the next one.",
    other: "Another user",
    provider: (host) => `Sign in with ${host}`,
    locked: (seconds) => `Too many tries. Try again in ${seconds} s.`,
    reasons: {
      left: "You have signed out.",
      idle: "You were away for a while and have been signed out.",
      ended: "The session has ended: signed out elsewhere, or the server was restarted. Please sign in again.",
    },
  },
  session: { signOut: "Sign out", signedInAs: (user) => `Signed in as ${user}`, role: "Role" },
  password: {
    change: "Change password",
    current: "Current password",
    other: "New password (10 bytes at least)",
    again: "New password again",
    differ: "The new passwords differ.",
    wrong: "The current password or the code is wrong.",
    elsewhere: "Your account is not kept here: ask an administrator, or change it where you signed in.",
    done: "Your password is changed. Your sessions elsewhere have ended.",
    submit: "Change",
  },
};

export const SIGNING = { zh, en };
