-- From here on functions, triggers and policies are files of sql/functions/, run again when their text has changed. Which text of each file
-- the database has had last stands here. What the migrations before this one have made is what these texts make.
create table x3sproxy.schema_functions (
  name text primary key,
  sha256 text not null,
  applied_at timestamptz not null default now()
);
revoke all on x3sproxy.schema_functions from public;
insert into x3sproxy.schema_functions (name, sha256) values
  ('activity.sql', '7e786b0aeec138aed4f01e4a17ba86ef06212554621dcde8324542b34306b8c0'),
  ('audit-retention.sql', '8999652ad24cbfac9a09f2ad1481a1a0d8d774ba321f9c03f7a69b2f855ce858'),
  ('audit.sql', 'd3123c832c61f0329270e24c119323aeb05cbe04d01e9f3e4749f7428815af6e'),
  ('calls.sql', '275e74bfb901685bce4301bfadcb3e87a9dcb76f4a170cf04251d0f8f6b9d705'),
  ('changes.sql', '6df9e5acbcd64b593203733accc849f93f99d3f0cc5826defa46833561bf0887'),
  ('figures.sql', 'afe077d8ef8376368bfa00ee5946db48f0e2873dcf440d799ba56186d33a99a5'),
  ('grants.sql', '32dc5880915933149e75a346c75cc48461471ca673640a1197041b54b059723a'),
  ('master-keys.sql', 'abeb8aa5560cccc82f2b269195db9bff4476f6356ebd2e2b75c80326fb43b6b1'),
  ('policies.sql', '7c447afa2615af7d52dff65009f6a9cbbc06b8b59b74698ce8697b22be586472'),
  ('registrations.sql', '0d43b277e505b9fae7655779df52a1944926569c334fc0047a0e26a8806e0372'),
  ('sign-in.sql', 'a4608927e82200d99c9be50db7432d4442b37508c1cafb95011d40563c7523c7'),
  ('tokens.sql', 'def1a111324a673273dfd88c6befbc181b7a7ccd4510c792be2a6ac943d8a3e6'),
  ('triggers.sql', 'e2671790a26868952c67b6e377804374d06c29264f139333bf1587cb5e3aee17'),
  ('workspaces.sql', '73dba7ade5b3bb92dd91a9b751f247e03edfd3836663475064af298278c0fb01');
